# Frames of a kind that the vnet header of a packet socket has no word for: UDP fragments in one
# frame. A tap NAME whose user takes such frames gives as many as each line of the input says, or
# COUNT of them, and then ends. With PEER they go on from the tap as if they came in by the other
# end of the veth PEER, as they would from a stack whose link offloads them.
use strict;
use POSIX;
$| = 1;
my ($name, $peer) = @ENV{"NAME", "PEER"};
open(my $tun, "+<", "/dev/net/tun") or die "tun: $!";
ioctl($tun, 0x400454ca, pack("Z16 s x22", $name, 0x5002)) or die "TUNSETIFF: $!";
ioctl($tun, 0x400454d0, 0x17) or die "TUNSETOFFLOAD: $!";
system("ip", "link", "set", $name, "up") == 0 or die "ip";

sub index_of { `ip -o link show dev $_[0]` =~ /^(\d+):/ or die "no $_[0]"; return $1; }

my ($program, $link);
if ($peer) {
    my $bpf = (POSIX::uname())[4] eq "aarch64" ? 280 : 321;
    # r1 = ifindex; r2 = 0; return bpf_redirect_peer(r1, r2)
    my $code = join("", map { pack("CCsl", @$_) }
        [0xb7, 1, 0, index_of($peer)], [0xb7, 2, 0, 0], [0x85, 0, 0, 155], [0x95, 0, 0, 0]);
    my ($license, $log) = ("GPL\0", "\0" x 65536);
    my $load = pack("LLPPLLPL", 3, 4, $code, $license, 1, length $log, $log, 0) . "\0" x 60;
    $program = syscall($bpf, 5, $load, length $load);
    die "loading: $! $log" if $program < 0;
    my $attach = pack("LLLLLL", $program, index_of($name), 46, 0, 0, 0) . "\0" x 40;
    $link = syscall($bpf, 28, $attach, length $attach);
    die "attaching: $!" if $link < 0;
}

my $ip = pack("CCnnnCCna4a4", 0x45, 0, 3028, 7, 0, 64, 17, 0, "\x0a\x64\0\x0a", "\x0a\x64\0\x14");
my $sum = unpack("%32n*", $ip);
$sum = ($sum & 0xffff) + ($sum >> 16);
substr($ip, 10, 2) = pack("n", ~$sum & 0xffff);
my $frame = "\x02\0\x0a\x64\0\x14\x02\0\x0a\x64\0\x0a\x08\0" . $ip
    . pack("nnnn", 1, 2, 3008, 0) . "\0" x 3000;
# Partial checksum, UDP fragments of 1400 bytes, headers of 42.
my $vnet = pack("CCSSSS", 1, 3, 42, 1400, 34, 6);

sub give {
    for (1 .. $_[0]) { syswrite($tun, $vnet . $frame) or die "giving: $!"; }
    print "given\n";
}
if ($ENV{"COUNT"}) {
    give($ENV{"COUNT"});
} else {
    print "up\n";
    while (my $count = <STDIN>) { give($count); }
}
