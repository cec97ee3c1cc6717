# Xet, the storage of the Hugging Face Hub: hf_xet writing to a local folder (its local:// end): chunks, hashes, compression,
# xorbs and shards, and no network. XET_PYTHON names a python that has hf_xet.
export HF_HUB_DISABLE_TELEMETRY=1 DO_NOT_TRACK=1
P="${XET_PYTHON:-python3} $BENCH_HERE/tools/xet_do.py"
t_version() { $P version; }
t_init() { mkdir -p "$REPO"; }
t_add() { echo "HF_XET_CACHE=$STATE/c $P add $DATA $REPO $1"; }
t_restore() { echo "HF_XET_CACHE=$STATE/c2 $P restore $DEST $REPO $1"; }
