# A cache key holds the path of the working folder.
row=43 variable="working folder" layer="environment place" named="directory"
prepare() { mkdir -p left right; }
command="sh -c 'pwd > fingerprint.txt'"
folder_a=left
folder_b=right
