# The metric counts otherwise.
row=63 variable="metric implementation" layer=code named=metric.py
prepare() { echo 'import metric; print(metric.f1(3, 1, 2), file=open("f1.txt", "w"))' > evaluate.py; }
command="python3 evaluate.py"
a() { echo 'def f1(tp, fp, fn): return 2 * tp / (2 * tp + fp + fn)' > metric.py; }
b() { echo 'def f1(tp, fp, fn): return tp / (tp + fp + fn)' > metric.py; }
