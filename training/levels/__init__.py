"""Learns levels in the domain of levels: log powers of ear-wide bands in, those of what a codec took out.

`bands` measures levels, `store` keeps them on disk, `prepare` fills the store, `crops` draws from it, `fit` trains
`training.nets.level_net` on it. No waveform is touched while training, so an hour of music takes half a minute.
"""
