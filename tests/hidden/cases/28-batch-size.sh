# Sums over batches are added in another order.
row=28 variable="batch size" layer=argument named=--batch
prepare() {
    cat > mean.py <<'P'
import sys
size, x = int(sys.argv[2]), [1 / (i + 1) for i in range(1000)]
print(sum(sum(x[i:i + size]) for i in range(0, 1000, size)).hex(), file=open("sum.txt", "w"))
P
}
command_a="python3 mean.py --batch 10"
command_b="python3 mean.py --batch 16"
