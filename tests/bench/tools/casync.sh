# casync with zstd, and of the metadata what Unix has. CASYNC names the command.
A=${CASYNC:-casync}
t_version() { $A --version | sed -n 1p; }
t_init() { mkdir -p "$REPO" "$STATE/cache"; }
t_add() { echo "$A make --compression=zstd --store=$REPO/s.castr --with=unix $REPO/$1.caidx $DATA"; }
t_restore() { echo "$A extract --store=$REPO/s.castr --with=unix --compression=zstd $REPO/$1.caidx $DEST"; }
