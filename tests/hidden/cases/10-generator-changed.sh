# A library draws from another stream in its next version, for the same seed.
row=10 variable="generator changed by a version" layer=package named="package streams"
prepare() {
    mkdir -p env/site-packages/streams
    cat > draw.py <<'P'
import sys; sys.path.insert(0, "env/site-packages")
import streams
print([streams.draw(i) for i in range(5)], file=open("draws.txt", "w"))
P
}
command="python3 draw.py"
a() { rm -rf env/site-packages/streams-*; mkdir env/site-packages/streams-1.9.dist-info; echo 'def draw(i): return (i * 1103515245 + 12345) % 1000' > env/site-packages/streams/__init__.py; }
b() { rm -rf env/site-packages/streams-*; mkdir env/site-packages/streams-2.0.dist-info; echo 'def draw(i): return (i * 6364136223846793005 + 1) % 1000' > env/site-packages/streams/__init__.py; }
