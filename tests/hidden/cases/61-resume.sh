# Training goes on from a checkpoint that happens to be there.
row=61 variable="resumed from a checkpoint" layer="data found" named="state.json"
prepare() {
    cat > train.py <<'P'
import json, os
step = json.load(open("state.json"))["step"] if os.path.exists("state.json") else 0
w = 0.0
for s in range(step, 10): w += 0.1 * (s - w)
print(w, file=open("weight.txt", "w"))
P
}
command="python3 train.py"
a() { rm -f state.json; }
b() { echo '{"step": 5}' > state.json; }
