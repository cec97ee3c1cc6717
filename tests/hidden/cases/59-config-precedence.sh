# A file of settings in the working folder goes before the defaults.
row=59 variable="config precedence" layer="data code found" named="config.json"
prepare() {
    cat > train.py <<'P'
import json, os
lr = 0.1
if os.path.exists("config.json"): lr = json.load(open("config.json"))["lr"]
print(lr, file=open("lr.txt", "w"))
P
}
command="python3 train.py"
a() { rm -f config.json; }
b() { echo '{"lr": 0.01}' > config.json; }
