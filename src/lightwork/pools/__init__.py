"""pools: what makes nodes appear on machines that do not run one yet. It starts our programs there by means that the
machines have anyway, and never speaks our wire: a node, once started, finds its way by itself."""
