# zstd -1 with two threads: the yardstick for compressing. Its output is thrown away.
T_STEPS=''
t_version() { zstd --version | sed -n 's/.*\(v[0-9][0-9.]*\).*/zstd \1/p'; }
t_add() { echo "tar -C $DATA -cf - . | zstd -q -1 -T2 -c >/dev/null"; }
