"""What every benchmark needs: peers and ours as processes, a fleet with real certificates, figures."""
