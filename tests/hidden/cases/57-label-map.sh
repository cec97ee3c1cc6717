# Class numbers go by the order of folders: one was renamed.
row=57 variable="label map" layer="found data" named="names in images|cat"
prepare() {
    cat > labels.py <<'P'
import os
print({name: i for i, name in enumerate(sorted(os.listdir("images")))}, file=open("labels.txt", "w"))
P
}
command="python3 labels.py"
a() { rm -rf images; mkdir -p images/cat images/dog images/owl; }
b() { rm -rf images; mkdir -p images/Cat images/dog images/owl; mv images/Cat images/zcat; }
