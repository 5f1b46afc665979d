package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	nfqueue "github.com/florianl/go-nfqueue/v2"
	"k8s.io/client-go/informers"
	"k8s.io/klog/v2"
	"sigs.k8s.io/kube-network-policies/pkg/api"
	"sigs.k8s.io/kube-network-policies/pkg/network"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
	"sigs.k8s.io/kube-network-policies/pkg/podinfo"
)

// The kube-network-policies project's own data plane asks the kernel for nftables' queue expression. This one uses the older
// NFQUEUE target of iptables, since there are kernels that have the target and not the expression. Judged is the first
// packet of a connection, so that one that is open stays open when a policy comes.

const (
	queueNumber = 100
	// How long a packet waits for its pod's address: the kubelet reports it after the containers have started, and until
	// then no policy can be matched with it.
	addressDeadline = 3 * time.Second
	addressPoll     = 20 * time.Millisecond
	readyPoll       = 100 * time.Millisecond
	// A verdict that is not told holds its packet for ever; on a busy machine the kernel is not always quick to take it.
	writeDeadline = 10 * time.Second
)

// judge decides about packets.
type judge struct {
	engine *networkpolicy.PolicyEngine
	pods   api.PodInfoProvider
	own    *net.IPNet
}

func (j *judge) allows(ctx context.Context, payload []byte) bool {
	packet, err := network.ParsePacket(payload)
	if err != nil {
		klog.ErrorS(err, "packet dropped: it cannot be parsed")
		return false
	}
	deadline := time.Now().Add(addressDeadline)
	for !(j.known(packet.SrcIP) && j.known(packet.DstIP)) && time.Now().Before(deadline) {
		time.Sleep(addressPoll)
	}
	allowed, err := j.engine.EvaluatePacket(ctx, &packet)
	if err != nil {
		klog.ErrorS(err, "packet dropped: it cannot be judged", "packet", packet)
	}
	klog.V(2).InfoS("judged", "packet", packet, "allowed", allowed)
	return err == nil && allowed
}

func (j *judge) known(address net.IP) bool {
	if !j.own.Contains(address) {
		return true
	}
	_, found := j.pods.GetPodInfoByIP(address.String())
	return found
}

// rules are iptables' arguments: what belongs to a connection that was let through passes, and what the node itself
// sends to its pods, such as the kubelet's probes.
func rules(pods string) [][]string {
	queue := fmt.Sprintf("-j NFQUEUE --queue-num %d", queueNumber)
	lines := []string{
		"-A POSTROUTING -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		"-A POSTROUTING -m addrtype --src-type LOCAL -j ACCEPT",
		"-A POSTROUTING -s " + pods + " " + queue,
		"-A POSTROUTING -d " + pods + " " + queue,
		"-A INPUT -s " + pods + " -m conntrack --ctstate NEW " + queue,
	}
	split := make([][]string, 0, len(lines))
	for _, line := range lines {
		split = append(split, append([]string{"-w", "-t", "mangle"}, strings.Fields(line)...))
	}
	return split
}

func install(pods string) error {
	for _, chain := range []string{"POSTROUTING", "INPUT"} {
		if err := command("iptables", "-w", "-t", "mangle", "-F", chain); err != nil {
			return err
		}
	}
	for _, rule := range rules(pods) {
		if err := command("iptables", rule...); err != nil {
			return err
		}
	}
	return nil
}

func command(name string, arguments ...string) error {
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, output)
	}
	return nil
}

func newJudge(node string, own *net.IPNet, factory informers.SharedInformerFactory) (*judge, error) {
	namespaces, pods := factory.Core().V1().Namespaces(), factory.Core().V1().Pods()
	resolver, err := podinfo.NewInformerResolver(pods.Informer())
	if err != nil {
		return nil, err
	}
	provider := podinfo.NewInformerProvider(pods, namespaces, nil, []podinfo.IPResolver{resolver})
	policies := networkpolicy.NewStandardNetworkPolicy(node, namespaces, pods, factory.Networking().V1().NetworkPolicies())
	engine := networkpolicy.NewPolicyEngine(provider, []api.PolicyEvaluator{policies})
	engine.SetDataplaneSyncCallbacks(func() {})
	return &judge{engine, provider, own}, nil
}

// enforce opens the queue, then lets the kernel fill it. It returns once both are done.
func enforce(ctx context.Context, judge *judge, pods string) error {
	for !judge.engine.Ready() && ctx.Err() == nil {
		time.Sleep(readyPoll)
	}
	queue, err := nfqueue.Open(&nfqueue.Config{
		NfQueue: queueNumber, MaxPacketLen: 128, MaxQueueLen: 4096,
		Copymode: nfqueue.NfQnlCopyPacket, Flags: nfqueue.NfQaCfgFlagGSO, WriteTimeout: writeDeadline,
	})
	if err != nil {
		return err
	}
	decide := func(packet nfqueue.Attribute) int {
		id, payload := *packet.PacketID, append([]byte(nil), *packet.Payload...)
		// Apart, so that a packet whose pod is not known yet holds up no other.
		go func() {
			verdict := nfqueue.NfDrop
			if judge.allows(ctx, payload) {
				verdict = nfqueue.NfAccept
			}
			if err := queue.SetVerdict(id, verdict); err != nil {
				klog.ErrorS(err, "verdict not told")
			}
		}()
		return 0
	}
	lost := func(err error) int {
		var network net.Error
		if !(errors.As(err, &network) && network.Timeout()) {
			klog.ErrorS(err, "packet not received")
		}
		return 0
	}
	if err := queue.RegisterWithErrorFunc(ctx, decide, lost); err != nil {
		return err
	}
	return install(pods)
}
