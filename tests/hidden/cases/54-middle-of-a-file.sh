# One byte in the middle of a large file, with its size and time as they were.
row=54 variable="data that samples miss" layer=data named="input large.bin"
prepare() { :; }
command="sh -c 'cksum < large.bin > sum.txt'"
a() { head -c 5000000 /dev/zero > large.bin; touch -d 2020-01-01 large.bin; }
b() { printf x | dd of=large.bin bs=1 seek=2500000 conv=notrunc 2>/dev/null; touch -d 2020-01-01 large.bin; }
