# A native library that decodes was built with another rounding.
row=37 variable="native library" layer=code named="libdecode"
needs="cc"
prepare() {
    cat > decode.py <<'P'
import ctypes
lib = ctypes.CDLL("./libdecode.so")
print([lib.decode(i) for i in range(8)], file=open("pixels.txt", "w"))
P
}
command="python3 decode.py"
a() { echo 'int decode(int x) { return x * 3 / 2; }' > /tmp/$$.c; cc -shared -fPIC -o libdecode.so /tmp/$$.c; rm /tmp/$$.c; }
b() { echo 'int decode(int x) { return (x * 3 + 1) / 2; }' > /tmp/$$.c; cc -shared -fPIC -o libdecode.so /tmp/$$.c; rm /tmp/$$.c; }
