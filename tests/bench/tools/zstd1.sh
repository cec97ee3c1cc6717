# zstd -1 with two threads: the yardstick for compressing. Its output is thrown away.
T_STEPS=''
t_version() { zstd --version; }
t_add() { echo "tar -C $DATA -cf - . | zstd -q -1 -T2 -c >/dev/null"; }
