# The order of the batches goes by a seed on the command line.
row=7 variable="shuffle seed" layer=seed named=--seed
prepare() {
    cat > train.py <<'P'
import random, sys
rows = list(range(40)); random.Random(int(sys.argv[2])).shuffle(rows)
w = 0.0
for r in rows: w += 0.1 * (r - w)
print(w, file=open("weight.txt", "w"))
P
}
command_a="python3 train.py --seed 1"
command_b="python3 train.py --seed 2"
