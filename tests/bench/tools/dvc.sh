# DVC with its defaults: a cache of whole files under their MD5. DVC names the command.
export DVC_NO_ANALYTICS=1
V=${DVC:-dvc}
t_version() { $V --version | sed 's/^/dvc /'; }
t_init() { export DVC_SITE_CACHE_DIR=$STATE/site; $V init -q --no-scm && $V config core.check_update false; }
t_add() { echo "DVC_SITE_CACHE_DIR=$STATE/site $V add -q data"; }
t_pre_restore() { away "$DATA"; }
t_restore() { echo "DVC_SITE_CACHE_DIR=$STATE/site $V checkout -q"; }
t_restored() { echo "$DATA"; }
t_store() { echo "$WS/.dvc/cache $STATE/site"; }
