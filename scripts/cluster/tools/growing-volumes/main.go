// Command growing-volumes provisions volumes that grow for one node of the local cluster: each is an XFS image in a file, mounted through a
// loop device, so that its size is a real limit and its growth a real growth, online.
//
// To Kubernetes a volume is of type `local`, so nothing but the standard library is needed: no CSI, no sidecars. One process a node
// mounts its volumes (again after a power cut), makes and removes them, and grows them.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	var (
		driver  driver
		largest string
		access  access
	)
	flag.StringVar(&driver.node, "node", "", "name of this node")
	flag.StringVar(&driver.class, "class", "", "name of the storage class whose claims are served")
	flag.StringVar(&driver.provisioner, "provisioner", "", "provisioner that the storage class names")
	flag.StringVar(&driver.volumes.folder, "folder", "", "where images and their mounts are")
	flag.StringVar(&largest, "largest", "", "size beyond which a growth is refused, as by a storage that is full")
	flag.StringVar(&access.server, "server", "", "URL of the API server")
	flag.StringVar(&access.authority, "certificate-authority", "", "file with its authority's certificate")
	flag.StringVar(&access.certificate, "client-certificate", "", "file")
	flag.StringVar(&access.key, "client-key", "", "file")
	flag.Parse()

	var err error
	if driver.largest, err = parseQuantity(largest); err != nil {
		log.Fatalf("-largest: %v", err)
	}
	if driver.kube, err = connect(access); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	// A watch that begins without a version tells all there is first, so the first pass comes by itself where there is anything to do.
	changed := make(chan struct{}, 1)
	for _, path := range []string{claimsPath, volumesPath} {
		go driver.kube.watch(ctx, path, changed)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if err := driver.pass(ctx); err != nil && ctx.Err() == nil {
			log.Print(err)
			time.AfterFunc(2*time.Second, func() { notify(changed) })
		}
	}
}
