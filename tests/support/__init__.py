"""What the tests share: waiting, driving a real installation, load, small apps."""
