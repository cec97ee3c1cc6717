# The seed of a random number generator is not set.
row=1 variable="seed not set" layer=chance named="random bytes" class="random bytes were taken"
prepare() {
    cat > train.py <<'P'
import json, random, sys
if len(sys.argv) > 1: random.seed(int(sys.argv[1]))
weights = [random.gauss(0, 1) for _ in range(8)]
for step in range(50): weights = [w - 0.1 * (w - 3) + random.gauss(0, 0.01) for w in weights]
json.dump({"loss": sum((w - 3) ** 2 for w in weights)}, open("metrics.json", "w"))
P
}
command="python3 train.py"
twin_command="python3 train.py 7"
