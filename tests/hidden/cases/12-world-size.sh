# Each worker reads its share of the shards, by the number of workers.
row=12 variable="world size" layer=environment named=WORLD_SIZE
prepare() { seq 1 12 > shards.txt; }
command="sh -c 'awk \"NR % \$WORLD_SIZE == 0\" shards.txt > share.txt'"
flags_a="--env WORLD_SIZE=2"
flags_b="--env WORLD_SIZE=3"
