# An environment was built again, and a package has another version.
row=35 variable="package version" layer=package named="package scaling"
prepare() {
    mkdir -p env/site-packages/scaling
    cat > run.py <<'P'
import sys; sys.path.insert(0, "env/site-packages")
import scaling
print([scaling.scale(v) for v in (1, 2, 3)], file=open("scaled.txt", "w"))
P
}
command="python3 run.py"
a() { rm -rf env/site-packages/scaling-*; mkdir env/site-packages/scaling-1.0.dist-info; echo 'def scale(v): return v / 3' > env/site-packages/scaling/__init__.py; }
b() { rm -rf env/site-packages/scaling-*; mkdir env/site-packages/scaling-1.1.dist-info; echo 'def scale(v): return v / 2.5' > env/site-packages/scaling/__init__.py; }
