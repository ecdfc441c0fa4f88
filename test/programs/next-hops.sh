# Routes with several next hops and rules of every kind, as `ip` shows them. next-hops.out was written by the host's kernel
# (6.18) in a namespace where eth0, one end of a veth pair, had 10.0.2.15/24 and fd00::15/64.
exec 2> /dev/null
try() { "$@" || echo "refused: $*"; }
show() { echo; ip route | grep -v ^default; ip -6 route | grep -v "^default\|^fe80\|^ff00\| lo \| p0 "; }
try ip route add 192.0.2.0/24 nexthop via 10.0.2.2 dev eth0 weight 3 nexthop via 10.0.2.3 weight 1
try ip route add 192.0.3.0/24 metric 5 src 10.0.2.15 mtu 1400 nexthop via 10.0.2.2 nexthop via 10.9.0.1 dev eth0 onlink
try ip route append 192.0.2.0/24 nexthop via 10.0.2.4 nexthop via 10.0.2.5
try ip route add 192.0.2.0/24 nexthop via 10.0.2.2 nexthop via 10.0.2.3
try ip route add 192.0.4.0/24 nexthop via 10.9.0.2 nexthop via 10.0.2.3
try ip route add 192.0.5.0/24 via 10.9.0.2 dev eth0 onlink
try ip route add 192.0.6.0/24 nexthop via 10.0.2.3 weight 256
try ip route add blackhole 192.0.7.0/24 nexthop via 10.0.2.3 nexthop via 10.0.2.2
try ip route add 198.51.100.0/24 via 10.0.2.9 mtu 1400 advmss 1000 metric 7
try ip -6 route add 2001:db8::/32 nexthop via fd00::2 weight 2 nexthop via fd00::3
try ip -6 route append 2001:db8::/32 via fd00::4
try ip -6 route append 2001:db8::/32 via fd00::4
try ip -6 route add 2001:db9::/32 nexthop dev eth0 nexthop via fd00::3
try ip -6 route add 2001:dba::/32 nexthop via fd99::3 nexthop via fd00::3
try ip -6 route add 2001:dbb::/32 via fd00::7
try ip -6 route append 2001:dbb::/32 via fd00::8
show
try ip route del 192.0.3.0/24 via 10.9.0.1
try ip route del 192.0.3.0/24 nexthop via 10.0.2.2 nexthop via 10.9.0.9
try ip route del 192.0.3.0/24 via 10.0.2.2
try ip route replace 192.0.2.0/24 nexthop via 10.0.2.7 nexthop via 10.0.2.8 weight 9
try ip route change 192.0.2.0/24 nexthop via 10.0.2.7 nexthop via 10.0.2.9
try ip -6 route del 2001:db8::/32 via fd00::2
try ip -6 route del 2001:dbb::/32 nexthop via fd00::7 nexthop via fd00::9
try ip -6 route replace 2001:db8::/32 nexthop via fd00::12 weight 2 nexthop via fd00::13
show
try ip -6 route del 2001:db8::/32
ip route get 10.0.2.7 mark 5; ip route get 198.51.100.7; ip -6 route get fd00::99; ip route show 192.0.2.0/24
ip -6 route get fd00::99 from fd00::15
echo
try ip rule add ipproto tcp sport 1000-2000 dport 443 uidrange 0-1000 lookup 100
try ip -6 rule add ipproto udp dport 53 lookup 100
try ip rule add tos 0x10 lookup 100
try ip rule add pref 7 suppress_ifgroup 5 lookup 101
try ip rule add sport 65535 lookup 7
try ip rule add uidrange 5-4 lookup 7
try ip rule add tos 0x11 lookup 7
try ip rule add from 10.0.0.0/8 to 192.0.2.0/24 ipproto icmp lookup 7
try ip rule add sport 80 lookup 7
try ip rule add ipproto 17 sport 80 pref 9 unreachable
ip rule; ip -6 rule
ip route add default via 10.0.2.77 table 100
for ask in "" "tos 0x10" "ipproto tcp sport 1500 dport 443" "ipproto tcp sport 1500 dport 443 uid 1001"; do
  ip route get 203.0.113.1 $ask | sed "s/via 10.0.2.2 /via 10.0.2.1 /"
done
try ip route get 203.0.113.1 ipproto udp sport 80
try ip rule del ipproto tcp dport 443
try ip rule del sport 81
try ip rule del sport 80
ip rule
cd /proc/sys/net
cat ipv4/fib_multipath_hash_policy ipv4/fib_multipath_use_neigh ipv6/fib_multipath_hash_policy
echo 2 > ipv4/fib_multipath_hash_policy; echo 1 > ipv4/fib_multipath_use_neigh; echo 1 > ipv6/fib_multipath_hash_policy
(echo 9 > ipv4/fib_multipath_hash_policy) || echo refused
(echo 2 > ipv4/fib_multipath_use_neigh) || echo refused
cat ipv4/fib_multipath_hash_policy ipv4/fib_multipath_use_neigh ipv6/fib_multipath_hash_policy
ip link set eth0 down
show
