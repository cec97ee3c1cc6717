# The name of a checkpoint, and a seed, come from the clock.
row=14 variable="clock" layer=chance named="one recipe gave two results" class="may read the clock"
prepare() { :; }
command="sh -c 'date +%s%N > seed.txt'"
twin_command="sh -c 'date -u -d @0 > seed.txt'"
