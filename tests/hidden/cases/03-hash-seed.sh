# The order of a set of words decides the columns of a vocabulary.
row=3 variable="hash seed" layer=environment named=PYTHONHASHSEED
prepare() {
    cat > vocabulary.py <<'P'
words = set("the cat sat on the mat and the dog lay on the rug by a fire".split())
print({word: i for i, word in enumerate(words)}, file=open("vocabulary.txt", "w"))
P
}
command="python3 vocabulary.py"
in_a() { PYTHONHASHSEED=1 "$@"; }
in_b() { PYTHONHASHSEED=2 "$@"; }
