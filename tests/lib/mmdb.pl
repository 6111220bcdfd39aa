#!/usr/bin/perl
#
# mmdb.pl OUTPUT LAYOUT < lines - write a database in MaxMind's MMDB format
#
# Each line of the input is
#
#     CIDR [country=GB] [lat=51.5 lon=-0.1 [radius=50]]
#
# in any order of the words behind CIDR; empty lines and lines that begin with
# `#' are passed over. Of two lines that overlap the later one counts. Without
# country= the record has everything but a country. LAYOUT says where readers
# find what:
#
#     nested   country.iso_code                        GeoLite2-Country, DB-IP
#     flat     country_code                            ip-location-db, IPinfo
#     plain    country                                 IPinfo (country)
#     city     country.iso_code, location.latitude,    GeoLite2-City
#              location.longitude, location.accuracy_radius
#
# Words behind the layout, separated by commas: `ipv4' makes a tree that holds
# IPv4 only, `bits=24' (28, 32) sets the size of a record, `built=EPOCH' the
# time of its making (else 2026-11-20 00:00 UTC), `type=NAME' what it calls
# itself (else Test-Country, Test-City). Example:
#
#     echo '81.2.69.142/32 country=GB' | tests/lib/mmdb.pl out.mmdb nested,ipv4
#
# OUTPUT appears whole (temporary name, rename), so an existing one is
# replaced as geoipupdate does it. Reserved networks may be used. Exit status 0,
# or 1 and a message.
#
# In the directory of the variable MMDB_CACHE, if there is one, each database is
# kept under a digest of what it was made of and by: making it takes a second.

use strict;
use warnings;

use Digest::MD5;
use File::Copy;

my %types = (
    accuracy_radius => 'uint16',
    country         => 'map',
    country_code    => 'utf8_string',
    iso_code        => 'utf8_string',
    latitude        => 'double',
    location        => 'map',
    longitude       => 'double',
);

sub record {
    my ( $layout, %word ) = @_;
    my ( $country, %record ) = ( $word{country} );

    if ( $layout eq 'nested' || $layout eq 'city' ) {
        $record{country} = { iso_code => $country } if defined $country;
    }
    elsif ( defined $country ) {
        $record{ $layout eq 'flat' ? 'country_code' : 'country' } = $country;
    }
    if ( defined $word{lat} ) {
        die "lat= needs lon= and layout city\n"
          if $layout ne 'city' || !defined $word{lon};
        $record{location} =
          { latitude => $word{lat}, longitude => $word{lon} };
        $record{location}{accuracy_radius} = $word{radius}
          if defined $word{radius};
    }
    return \%record;
}

die "usage: mmdb.pl OUTPUT LAYOUT < lines\n" if @ARGV != 2;
my ( $output, $layout ) = @ARGV;
my @lines     = <STDIN>;
my $temporary = "$output.tmp$$";
my $kept;
if ( -d ( $ENV{MMDB_CACHE} // '' ) ) {
    open my $self, '<:raw', $0 or die "mmdb.pl: $0: $!\n";
    my $digest = Digest::MD5->new->addfile($self);
    $digest->add( "\0$layout\0", @lines );
    $kept = "$ENV{MMDB_CACHE}/" . $digest->hexdigest;
    if ( copy( $kept, $temporary ) ) {
        rename $temporary, $output or die "mmdb.pl: $output: $!\n";
        exit 0;
    }
}
require MaxMind::DB::Writer::Tree;
( $layout, my @options ) = split /,/, $layout;
my %option = map { my ( $k, $v ) = split /=/, $_, 2; ( $k, $v // 1 ) } @options;
die "mmdb.pl: unknown layout `$layout'\n"
  if $layout !~ /^(?:nested|flat|plain|city)$/;
for ( keys %option ) {
    die "mmdb.pl: unknown option `$_'\n" if !/^(?:ipv4|bits|built|type)$/;
}
$types{country} = 'utf8_string' if $layout eq 'plain';

my $name = $option{type}
  // ( $layout eq 'city' ? 'Test-City' : 'Test-Country' );
my $tree = MaxMind::DB::Writer::Tree->new(
    ip_version               => $option{ipv4} ? 4 : 6,
    record_size              => $option{bits} // 24,
    database_type            => $name,
    description              => { en => 'Written by a test' },
    languages                => ['en'],
    map_key_type_callback    => sub { $types{ $_[0] } },
    remove_reserved_networks => 0,
);
$tree->_set_build_epoch( $option{built} // 1795132800 );

my $number = 0;
for my $line (@lines) {
    $number++;
    my ( $block, @words ) = split ' ', $line;
    next if !defined $block || $block =~ /^#/;
    $block =~ m{^[0-9a-fA-F:.]+/\d+$}
      or die "mmdb.pl: line $number: `$block' is not a block\n";
    my %word;
    for (@words) {
        /^(country|lat|lon|radius)=(.*)$/
          or die "mmdb.pl: line $number: `$_' not understood\n";
        $word{$1} = $2;
    }
    eval { $tree->insert_network( $block, record( $layout, %word ) ); 1 }
      or die "mmdb.pl: line $number: $@";
}

open my $file, '>:raw', $temporary or die "mmdb.pl: $temporary: $!\n";
$tree->write_tree($file);
close $file or die "mmdb.pl: $temporary: $!\n";
if ( defined $kept && copy( $temporary, "$kept.tmp$$" ) ) {
    rename "$kept.tmp$$", $kept;
}
rename $temporary, $output or die "mmdb.pl: $output: $!\n";
