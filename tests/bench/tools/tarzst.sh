# tar and zstd -3: what one does without a tool. Every version is a whole archive.
t_version() { zstd --version | sed -n 's/.*\(v[0-9][0-9.]*\).*/zstd \1/p'; }
t_init() { mkdir -p "$REPO"; }
t_add() { echo "tar -C $DATA -cf - . | zstd -q -3 -T2 -f -o $REPO/$1.tar.zst"; }
t_restore() { echo "mkdir $DEST && zstd -qdc $REPO/$1.tar.zst | tar -C $DEST -xf -"; }
