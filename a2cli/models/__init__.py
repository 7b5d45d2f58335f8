"""The zoo, the ConvNet, the MLP, pretrained backbones, weights read and written."""
