"""`a2 train-cnn`, `train-mlp`, `finetune`: over seeds and folds, side by side, resumed, checked again."""
