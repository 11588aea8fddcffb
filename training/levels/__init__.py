"""The level net is trained in the domain of levels: log powers of ear-wide bands in, those that a codec took out.

No waveform is touched while it trains, so an hour of music takes half a minute. `store` keeps levels on disk,
`level_preparation` fills it, `crops` draws from it, `level_run` trains.
"""
