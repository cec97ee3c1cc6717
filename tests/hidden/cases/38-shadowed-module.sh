# A module of the same name lies in a folder that a variable puts in front.
row=38 variable="PYTHONPATH leak" layer="environment code data" named="PYTHONPATH|leak"
prepare() {
    mkdir -p env/site-packages leak
    echo 'def score(hits, n): return hits / n' > env/site-packages/metrics.py
    echo 'def score(hits, n): return hits / (n + 1)' > leak/metrics.py
    echo 'import sys; sys.path.append("env/site-packages"); import metrics; print(metrics.score(3, 4), file=open("score.txt", "w"))' > evaluate.py
}
command="python3 evaluate.py"
in_a() { "$@"; }
in_b() { PYTHONPATH="$PWD/leak" "$@"; }
