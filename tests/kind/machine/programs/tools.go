//go:build tools

// Package tools names the programs that are compiled as they are, so that go.mod and go.sum cover them.
package tools

import (
	_ "sigs.k8s.io/kind"
	_ "sigs.k8s.io/metrics-server/cmd/metrics-server"
)
