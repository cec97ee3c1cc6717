# What was prepared before is used again, though the preparation would give something else.
row=53 variable="stale cache" layer="data found" named="cache.json"
prepare() {
    echo "A b C" > text.txt
    cat > prepare.py <<'P'
import json, os
if os.path.exists("cache.json"): tokens = json.load(open("cache.json"))
else: tokens = open("text.txt").read().lower().split()
print(tokens, file=open("tokens.txt", "w"))
P
}
command="python3 prepare.py"
a() { rm -f cache.json; }
b() { echo '["A", "b", "C"]' > cache.json; }
