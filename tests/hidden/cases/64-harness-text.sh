# A prompt has one space more.
row=64 variable="prompt template" layer=data named="input prompt.txt"
prepare() { echo 'open("asked.txt", "w").write(open("prompt.txt").read().format(q="2 + 2"))' > ask.py; }
command="python3 ask.py"
a() { printf 'Q: {q}\nA:' > prompt.txt; }
b() { printf 'Q: {q}\nA: ' > prompt.txt; }
