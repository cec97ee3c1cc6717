# An edit that nobody committed.
row=49 variable="uncommitted code" layer=code named=train.py
needs="git"
prepare() {
    echo 'print(0.1, file=open("lr.txt", "w"))' > train.py
    git init -q; git add train.py; git -c user.name=a -c user.email=a@b commit -qm first
}
command="python3 train.py"
a() { git checkout -q train.py; }
b() { echo 'print(0.2, file=open("lr.txt", "w"))' > train.py; }
