# Objects are sorted by their addresses.
row=46 variable="address space layout" layer=place named="address layout"
needs="setarch"
needs_try="setarch -R true"
prepare() {
    cat > order.py <<'P'
print(hex(id(object())), file=open("order.txt", "w"))
P
}
command="python3 order.py"
in_a() { setarch -R "$@"; }
in_b() { "$@"; }
