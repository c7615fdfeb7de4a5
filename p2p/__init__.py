"""Peers: transport, gossip verdicts, verified exchange of shards, the peer book."""
