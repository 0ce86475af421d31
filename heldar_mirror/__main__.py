from heldar_mirror.cli import main

main()
