# The default of an argument was changed in a library that did not change its version.
row=36 variable="default argument" layer=package named="package resize"
prepare() {
    mkdir -p env/site-packages/resize env/site-packages/resize-0.15.dist-info
    cat > run.py <<'P'
import sys; sys.path.insert(0, "env/site-packages")
import resize
print(resize.resize([1, 2, 3, 4]), file=open("pixels.txt", "w"))
P
}
command="python3 run.py"
a() { echo 'def resize(x, antialias=False): return [sum(x) / 4] if antialias else x[::2]' > env/site-packages/resize/__init__.py; }
b() { echo 'def resize(x, antialias=True): return [sum(x) / 4] if antialias else x[::2]' > env/site-packages/resize/__init__.py; }
