module pisync.io/pisync/scripts/images/pause

go 1.26.0
