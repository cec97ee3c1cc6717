# A run draws an identifier, by which rows are then sampled.
row=15 variable="uuid, system entropy" layer=chance named="random bytes" class="random bytes were taken"
prepare() {
    cat > sample.py <<'P'
import hashlib, sys, uuid
run = uuid.UUID(int=5) if sys.argv[1:] else uuid.uuid4()
keep = [i for i in range(100) if hashlib.sha256(f"{run}{i}".encode()).digest()[0] < 32]
print(keep, file=open("sample.txt", "w"))
P
}
command="python3 sample.py"
twin_command="python3 sample.py fixed"
