# A split goes by the order in which the file system lists a folder.
row=4 variable="listing order" layer=order named="order of"
# In memory, where a folder lists what came last first.
needs_mount=shards
prepare() {
    cat > split.py <<'P'
import os
names = os.listdir("shards")
print("train", *names[:-1], "test", names[-1], file=open("split.txt", "w"))
P
}
command="python3 split.py"
a() { rm -f shards/*; for n in one two three four; do echo "$n" > shards/$n; done; }
b() { rm -f shards/*; for n in four two one three; do echo "$n" > shards/$n; done; }
