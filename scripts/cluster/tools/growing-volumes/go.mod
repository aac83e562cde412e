module pisync.io/pisync/scripts/cluster/tools/growing-volumes

go 1.26.0
