// Command podnet is the pod network of one node: it gives the node's pods their addresses, routes to the pods of the other
// nodes, and enforces NetworkPolicies with the policy engine of sigs.k8s.io/kube-network-policies.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

const rangePoll = time.Second

var errNoRange = errors.New("the node has no podCIDR")

func podRange(ctx context.Context, client kubernetes.Interface, node string) (*net.IPNet, error) {
	for ctx.Err() == nil {
		found, err := client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err == nil && found.Spec.PodCIDR != "" {
			_, own, err := net.ParseCIDR(found.Spec.PodCIDR)
			return own, err
		}
		klog.InfoS("waiting for the node's podCIDR", "node", node, "error", err)
		time.Sleep(rangePoll)
	}
	return nil, errNoRange
}

func run(ctx context.Context, node, pods string) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	own, err := podRange(ctx, client, node)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	if err := follow(factory, node); err != nil {
		return err
	}
	judge, err := newJudge(node, own, factory)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	if err := enforce(ctx, judge, pods); err != nil {
		return err
	}
	// Last, since the node takes pods as soon as it has this file.
	if err := writeConfiguration(own); err != nil {
		return err
	}
	klog.InfoS("the pod network is up", "node", node, "pods", own.String())
	<-ctx.Done()
	return nil
}

func main() {
	klog.InitFlags(nil)
	node := flag.String("node", "", "name of this node")
	pods := flag.String("pods", "", "addresses of the pods of all nodes, as CIDR")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *node, *pods); err != nil {
		fmt.Fprintln(os.Stderr, "podnet:", err)
		os.Exit(1)
	}
}
