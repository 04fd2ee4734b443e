//! nftables data as the text `nft list` prints.
