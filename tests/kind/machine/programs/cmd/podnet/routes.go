package main

import (
	"fmt"
	"net"
	"os"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

const (
	folder        = "/etc/cni/net.d"
	configuration = `{"cniVersion": "0.4.0", "name": "podnet", "plugins": [
  {"type": "ptp", "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`
)

func writeConfiguration(own *net.IPNet) error {
	unfinished := folder + "/.10-podnet"
	if err := os.WriteFile(unfinished, fmt.Appendf(nil, configuration, own.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, folder+"/10-podnet.conflist")
}

// follow keeps a route to the pods of every other node.
func follow(factory informers.SharedInformerFactory, self string) error {
	var lock sync.Mutex
	apply := func(object any) {
		node, ok := object.(*v1.Node)
		if !ok || node.Name == self {
			return
		}
		lock.Lock()
		defer lock.Unlock()
		if err := route(node); err != nil {
			klog.ErrorS(err, "no route", "node", node.Name)
		}
	}
	_, err := factory.Core().V1().Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    apply,
		UpdateFunc: func(_, object any) { apply(object) },
	})
	return err
}

func route(node *v1.Node) error {
	_, pods, err := net.ParseCIDR(node.Spec.PodCIDR)
	if err != nil {
		return err
	}
	for _, address := range node.Status.Addresses {
		if gateway := net.ParseIP(address.Address); address.Type == v1.NodeInternalIP && gateway != nil {
			return command("ip", "route", "replace", pods.String(), "via", gateway.String())
		}
	}
	return fmt.Errorf("it has no address")
}
