# A tokenizer has another vocabulary file.
row=56 variable="tokenizer file" layer=data named="input vocabulary.txt"
prepare() {
    cat > tokens.py <<'P'
ids = {word: i for i, word in enumerate(open("vocabulary.txt").read().split())}
print([ids.get(w, -1) for w in "a cat and a dog".split()], file=open("ids.txt", "w"))
P
}
command="python3 tokens.py"
a() { echo "a and cat dog" > vocabulary.txt; }
b() { echo "a and dog cat" > vocabulary.txt; }
