# restic with its defaults (encryption cannot be turned off). RESTIC names the command.
export RESTIC_PASSWORD=bench
R=${RESTIC:-restic}
t_version() { $R version; }
t_init() { $R -r "$REPO" --cache-dir "$STATE/c" init; }
t_add() { echo "cd $DATA && $R -q -r $REPO --cache-dir $STATE/c backup --tag $1 ."; }
t_restore() { echo "$R -q -r $REPO --cache-dir $STATE/c restore latest --target $DEST"; }
