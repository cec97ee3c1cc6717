# A library is imported from a project beside this one.
row=50 variable="sibling project" layer="data code" named="helpers.py"
prepare() {
    mkdir -p ../library
    echo 'import sys; sys.path.insert(0, "../library"); import helpers; print(helpers.depth(), file=open("depth.txt", "w"))' > model.py
}
command="python3 model.py"
a() { echo 'def depth(): return 3' > ../library/helpers.py; }
b() { echo 'def depth(): return 40' > ../library/helpers.py; }
