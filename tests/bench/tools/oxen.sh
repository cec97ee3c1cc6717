# Oxen through its Python package. OXEN_PYTHON names a python that has oxenai.
P="${OXEN_PYTHON:-python3} $BENCH_HERE/tools/oxen_do.py"
t_version() { $P version; }
t_init() { $P init "$WS"; }
t_add() { echo "$P add $WS $1"; }
t_pre_restore() { away "$DATA"; }
t_restore() { echo "$P restore $WS $1"; }
t_restored() { echo "$DATA"; }
t_store() { echo "$WS/.oxen"; }
