package main

import (
	"context"

	genericapiserver "k8s.io/apiserver/pkg/server"
)

// contextForSignals ends with the first SIGTERM or SIGINT; the kubelet is the one command that takes its context from its caller.
func contextForSignals() context.Context { return genericapiserver.SetupSignalContext() }
